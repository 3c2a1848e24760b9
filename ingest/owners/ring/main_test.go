package ring

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs more tests at a time than there are processors: they wait for each other's silence most of the time.
func TestMain(m *testing.M) {
	if join := os.Getenv(childJoins); join != "" {
		runChild(join)
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
