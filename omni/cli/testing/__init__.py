"""`omni test`: conversations with an agent, held and judged as files say."""
