"""The contract: pydantic models of requests and answers, without logic."""
