"""The console: Streamlit screens over the store, read only."""
