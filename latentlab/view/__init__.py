"""What a person sees and touches: maps with their quality, charts, explorers in a notebook or a page, and reports."""
