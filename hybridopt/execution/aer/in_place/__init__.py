"""Small circuits: gates of Aer on a numpy buffer, without circuits, jobs and results of Aer."""
