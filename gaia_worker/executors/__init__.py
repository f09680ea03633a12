"""Ways to run a program: Docker containers, the bubblewrap sandbox, and one that runs nothing."""
