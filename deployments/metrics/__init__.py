"""Metrics, which cost less than a microsecond to count.

instruments   counters, gauges and histograms of this process
ray_exporter  a thread that hands them to Ray's exporter
export        starts it in a process of a Ray cluster
replica       what a model's replica and the image loader measure
autoscaling   what autoscaling policies want
"""
