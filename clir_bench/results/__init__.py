"""Stores and reads results, and turns them into data frames, tables and plots."""
