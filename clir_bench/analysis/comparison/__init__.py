"""Systems compared question by question: what differs, by how much, and how sure that is."""
