"""The library the steps share. Steps import it; it imports nothing of ours outside itself."""
