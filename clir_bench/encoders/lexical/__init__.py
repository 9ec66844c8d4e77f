"""What a lexical system counts: texts become terms by the rules of their language."""
