"""Everything that touches an nn.Module: loading, targets, the data path of a sample, a network along a segment of weights."""
