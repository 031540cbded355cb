--- The version of this module. The only place where it is written down.
return "0.1.0-dev"
