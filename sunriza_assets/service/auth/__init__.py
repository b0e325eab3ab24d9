"""Who calls: tokens, keys, principals; what they may use up: rates, quotas, credits."""
