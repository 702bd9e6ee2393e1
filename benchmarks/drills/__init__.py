"""What is killed in the fault drill, and how the state it leaves is told from what it should be."""
