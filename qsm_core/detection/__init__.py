"""Where in long recordings a sound is: recordings, annotations, score tracks, events, metrics."""
