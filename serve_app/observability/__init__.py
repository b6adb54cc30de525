"""What can be seen of the gateway at work; never what a request holds.

metrics      the table of the gateway's metrics
record       what became of one request: begun and ended by the doors, filled on its way
upstream     the way to Qdrant, measured
routes       a request's route without what its caller put there
tracing      OpenTelemetry spans of a request and its steps
request_log  one line for each request
health       whether the gateway lives, and whether it is ready
watching     what is looked after every few seconds: health, and gauges
"""
