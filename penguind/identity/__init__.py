"""Who is who: authorities, enrollment, renewal, revocation, operators and the fleet's trust."""
