"""Run pretrained networks on audio; each is optional and says which weights it used."""
