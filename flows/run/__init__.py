"""What every flow shares: its settings, its list of stages, what it shows. No science."""
