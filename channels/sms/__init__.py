"""SMS and MMS through Twilio: one channel for each number or messaging service of an account."""
