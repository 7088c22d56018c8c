"""The notebooks that run an acceptance on Colab, Kaggle and Lightning, from one template."""
