"""Who thinks of the answers: the engines behind one port."""
