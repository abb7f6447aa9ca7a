"""What is done reaches the nodes where people look, and is kept until it has."""
