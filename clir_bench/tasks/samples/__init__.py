"""The samples embedded in the package: hand-written texts, and each task's files made of them."""
