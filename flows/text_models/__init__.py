"""Text models that several systems take as their default."""
