"""What `--model` names: whole systems that rank documents."""
