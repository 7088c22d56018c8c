"""A page of tables, figures and sentences, and its exports. Knows no system."""
