"""Every address by everybody: what each is answered."""
