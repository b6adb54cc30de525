#!/bin/sh
# Takes everything away, in the order in which nothing hangs: KubeRay clears Redis after each RayCluster, by a job that needs
# Redis, its secret and the namespace. With the namespace go all volumes, Qdrant's collections too.
#
#   k8s/uninstall.sh k8s/overlays/mine          # what `kubectl apply -k` made
#   k8s/uninstall.sh --helm inference           # a Helm release; its namespace stays
#
# NAMESPACE: another than qdrant-inference. TIMEOUT: seconds to wait for KubeRay, by default 600.
set -eu

namespace=${NAMESPACE:-qdrant-inference}
left=${TIMEOUT:-600}
if [ $# -lt 1 ] || { [ "$1" = --helm ] && [ $# -lt 2 ]; }; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi

kubectl --namespace "$namespace" delete rayservices --all --wait=false
while [ -n "$(kubectl --namespace "$namespace" get rayservices,rayclusters --output name)" ]; do
    if [ "$left" -le 0 ]; then
        echo "RayClusters are still there; nothing else was deleted. The job that clears Redis tells why:" >&2
        kubectl --namespace "$namespace" get jobs,pods >&2
        exit 1
    fi
    sleep 5
    left=$((left - 5))
done

if [ "$1" = --helm ]; then
    helm --namespace "$namespace" uninstall "$2"
else
    kubectl delete --ignore-not-found -k "$1"   # the RayService has gone before
fi
