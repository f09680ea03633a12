"""What the tests need from the machine: a Docker engine, images, and real services in containers."""
