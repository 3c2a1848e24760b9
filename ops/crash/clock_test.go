package crash

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The clock of one process is set back in the process: Go asks the kernel without libc, so nothing outside can answer in between, and the
// kernel has no clock of the day for one process. The binary is built from the same sources with two lines more in the standard library's
// time.Now: it adds as many seconds as stand in a file. All that asks the time of day sees the step, libraries as well; timers and
// spans of time go on, as they do on a machine whose clock is set.
const (
	clockEnv  = "FAULTCLOCK" // the file
	nowBefore = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n\t\treturn Time{uint64(nsec), sec + unixToInternal, Local}"
	nowAfter  = "\tsec, nsec, mono := runtimeNow()\n\tsec += faultStep()\n\tif mono == 0 {\n\t\treturn Time{uint64(nsec), sec + unixToInternal, Local}"
	stepCode  = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var faultSeconds *int64

func init() {
	file, ok := syscall.Getenv("` + clockEnv + `")
	if !ok {
		return
	}
	fd, err := syscall.Open(file, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic("the file of the clock: " + err.Error())
	}
	page, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("the file of the clock: " + err.Error())
	}
	faultSeconds = (*int64)(unsafe.Pointer(&page[0]))
}

func faultStep() int64 {
	if faultSeconds == nil {
		return 0
	}
	return atomic.LoadInt64(faultSeconds)
}
`
)

// buildClocked makes the binary under test once more, with a clock that can be set. Everything is compiled anew for it, which takes minutes.
func buildClocked(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "parley")
	if err := buildWithClock("parley/cmd/parley", bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

func buildWithClock(what, out string) error {
	dir := out + ".overlay"
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	lib := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(lib, "time.go"))
	if err != nil {
		return err
	}
	if n := strings.Count(string(source), nowBefore); n != 1 {
		return fmt.Errorf("the place in time.Now is there %d times: this Go is another one", n)
	}
	files := map[string]string{
		"time.go": strings.Replace(string(source), nowBefore, nowAfter, 1), "faultstep.go": stepCode,
		"overlay.json": fmt.Sprintf(`{"Replace": {%q: %q, %q: %q}}`,
			filepath.Join(lib, "time.go"), filepath.Join(dir, "time.go"), filepath.Join(lib, "faultstep.go"), filepath.Join(dir, "faultstep.go")),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", out, what).CombinedOutput(); err != nil {
		return fmt.Errorf("build with a clock: %w\n%s", err, out)
	}
	return nil
}

// clock is the file from which processes take their step.
type clock struct{ file string }

func newClock(t *testing.T) *clock {
	t.Helper()
	c := &clock{file: filepath.Join(t.TempDir(), "clock")}
	c.set(t, 0)
	return c
}

// env makes a process that is built so follow the clock.
func (c *clock) env() string { return clockEnv + "=" + c.file }

// set makes the clock go wrong by so much from now on. The file stays the same one: processes look at it in memory.
func (c *clock) set(t *testing.T, by time.Duration) {
	t.Helper()
	f, err := os.OpenFile(c.file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], uint64(int64(by/time.Second)))
	if _, err := f.WriteAt(b[:], 0); err != nil {
		t.Fatal(err)
	}
}
