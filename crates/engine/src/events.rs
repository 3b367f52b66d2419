//! Events: the exchange between publishers and subscribers.
