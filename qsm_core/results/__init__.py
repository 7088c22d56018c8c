"""What runs leave in their folders of results, carried elsewhere."""
