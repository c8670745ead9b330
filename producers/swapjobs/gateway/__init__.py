"""The HTTP gateway: what `SwapClient` does, for programs in any language. Nothing else in swapjobs imports this."""
