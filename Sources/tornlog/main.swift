print("tornlog")
