// The etcd server as its authors build it. Its own module cannot be installed by `go install`: it has replace directives.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
