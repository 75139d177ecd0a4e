"""NE16: a convolution engine with bit-serial weights, as its open RTL is. The silicon of GAP9 may differ.

    job        the 24 registers of a job: `Job`, to words and back
    operands   where a job's operands are in memory
    execute    what it computes, byte by byte
    cycles     what it takes, state by state
    state      what it leaves to the next job, SOFT_CLEAR
    rules      what never ends, or has no meaning
    weights    how weights are packed
    layers     which layers it computes, and as which jobs
    requant    scales, biases and shifts that are exact for a layer
    two_jobs   the same for a layer whose product needs more than 32 bits: what a second job finishes
    finishing  the jobs that finish it
    launch     a tile as the jobs that the hardware runs for it
    vectors    recorded or wanted behaviour, as a file

It is pure: numbers in, numbers out, no operation of MLIR and no address map. Facts "measured on the RTL" are of
pulp-platform/ne16 6bd7272 under Verilator 5.006; test/inputs/ne16 has the record and the bench, and every recorded job
has the same bytes and cycles here.
"""
