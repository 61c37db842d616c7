"""Control: tell a generator where and what, by masks, keyframes, references, adapters and words."""
