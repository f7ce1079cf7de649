// filled by merge
