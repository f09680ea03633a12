"""Which worker gets which ready Step: pure, over plain values."""
