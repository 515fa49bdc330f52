"""What the bundled language model is made from: simulated careers, their wordings, and a tokenizer."""
