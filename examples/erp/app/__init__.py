"""The ERP's web API, as it was before its roles became permissions."""
