"""Session replay: what recordings say of sessions. The recorded pages themselves are not kept."""
