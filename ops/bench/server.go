package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Server is a child process: a development server of its own folder, which goes with it.
type Server struct {
	Target Target
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
}

const (
	startLimit = 30 * time.Second
	stopLimit  = 15 * time.Second
)

// StartServer starts `bin serve --dev` on free loopback ports, with its data in a new folder below dir (empty: where temporary files go),
// and waits until it is ready. What PARLEY_ variables say is not for it; settings are such variables that are.
func StartServer(ctx context.Context, bin, dir string, settings ...string) (*Server, error) {
	folder, err := os.MkdirTemp(dir, "parley-bench")
	if err != nil {
		return nil, fmt.Errorf("bench: folder of a server: %w", err)
	}
	s := &Server{dir: folder, exited: make(chan struct{})}
	if err := s.start(ctx, bin, settings); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := s.await(ctx); err != nil {
		err = fmt.Errorf("bench: the server does not come up: %w\n%s", err, s.lastWords())
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, bin string, settings []string) error {
	log, err := os.Create(s.logFile())
	if err != nil {
		return fmt.Errorf("bench: log of a server: %w", err)
	}
	defer log.Close() // the child has its own
	// Stop ends it, and not ctx, so that an interrupted run ends in order.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), bin, "serve", "--dev", "--data", s.data(),
		"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log.format", "json")
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PARLEY_") {
			s.cmd.Env = append(s.cmd.Env, e)
		}
	}
	s.cmd.Env = append(s.cmd.Env, settings...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for the one that loads
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("bench: start a server: %w", err)
	}
	go func() {
		_ = s.cmd.Wait() // ProcessState says how it went
		close(s.exited)
	}()
	return nil
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

// await waits for the file that says where it is, and until it calls itself ready.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("it has ended")
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) ready(ctx context.Context) error {
	target, err := ReadTarget(filepath.Join(s.data(), "dev.json"))
	if err != nil {
		return err
	}
	s.Target = target
	p := process{admin: target.Admin, http: &http.Client{Timeout: time.Second}}
	defer p.close()
	return p.get(ctx, "/readyz", func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
}

// Err tells whether the server has ended although nobody has asked it to.
func (s *Server) Err() error {
	select {
	case <-s.exited:
		return fmt.Errorf("the server has ended: %v\n%s", s.cmd.ProcessState, s.lastWords())
	default:
		return nil
	}
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error {
	var errs []error
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		errs = append(errs, fmt.Errorf("bench: stop the server: %w", err))
	}
	select {
	case <-s.exited:
	case <-time.After(stopLimit):
		errs = append(errs, fmt.Errorf("bench: the server did not end within %s", stopLimit), s.cmd.Process.Kill())
		<-s.exited
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// lastWords returns the end of the log.
func (s *Server) lastWords() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}
