//! The temporal heads: adapters, LSTM, attention, gates, classifiers, exit policy.
