// Command wan is a wide area network on one Linux machine. Regions must be far from each other for servers that nobody
// changes, and a way between two of them must break as it does at sea: in one direction or both, without a word.
//
// The kernel's own way (tc netem) is a module that many machines lack. A proxy in front of each server delays as well, but a
// cut there ends or blocks connections, which TCP then sees; and servers would have to be told other addresses than their own.
//
// So each region is a network namespace with one TUN device in it, and this process is the sea: it reads the packets that a
// region sends, and writes them to the device of the region that they are for, later. A cut is packets that are thrown away.
// The region "root" is the machine's own namespace. Region i (from 1) has 10.90.i.1 to 10.90.i.9; within a region packets go
// over its loopback.
//
//	wan TOPOLOGY     {"name": "…", "regions": ["…"], "oneWayMs": {"a": {"b": 40}}}, with every pair in both directions
//
// It is told by lines on stdin what to do: "cut A B" (what A sends to B), "heal" (all), or "status", and answers each with a
// line of JSON that tells of all links. When stdin ends, whatever ended its writer, it kills what runs in the namespaces and
// takes them away.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

type topology struct {
	Name     string // of the network: what begins the names of its namespaces and devices
	Regions  []string
	OneWayMs map[string]map[string]float64
}

// ---- links ----

type packet struct {
	data  []byte
	due   time.Time
	epoch int64
}

// link is one direction between two regions. Only the reader of the source region calls send; only run receives.
type link struct {
	from, to *region
	delay    time.Duration
	down     atomic.Bool
	epoch    atomic.Int64 // raised by a cut: packets in flight from before it are lost
	q        chan packet

	pkts, cut, full atomic.Int64

	mu   sync.Mutex
	late [4096]time.Duration // delivery against the schedule, the most recent packets
	n    int
}

func (l *link) send(p []byte) {
	if l.down.Load() {
		l.cut.Add(1)
		return
	}
	select {
	case l.q <- packet{bytes.Clone(p), time.Now().Add(l.delay), l.epoch.Load()}:
	default: // as in a router: what finds the queue full is lost
		l.full.Add(1)
	}
}

func (l *link) run() {
	for p := range l.q {
		// Not time.Sleep: the runtime rounds to epoll's milliseconds. The thread sleeps; GOMAXPROCS leaves enough others.
		for d := time.Until(p.due); d > 0; d = time.Until(p.due) {
			ts := syscall.NsecToTimespec(int64(d))
			syscall.Nanosleep(&ts, nil)
		}
		l.deliver(p)
	}
}

func (l *link) deliver(p packet) {
	if l.down.Load() || p.epoch != l.epoch.Load() {
		l.cut.Add(1)
		return
	}
	late := time.Since(p.due)
	if _, err := syscall.Write(l.to.fd, p.data); err != nil {
		l.full.Add(1)
		return
	}
	l.pkts.Add(1)
	l.mu.Lock()
	l.late[l.n%len(l.late)] = late
	l.n++
	l.mu.Unlock()
}

// lateness returns the p99 of the most recent deliveries against their schedule.
func (l *link) lateness() time.Duration {
	l.mu.Lock()
	s := slices.Clone(l.late[:min(l.n, len(l.late))])
	l.mu.Unlock()
	if len(s) == 0 {
		return 0
	}
	slices.Sort(s)
	return s[len(s)*99/100]
}

// ---- regions ----

type region struct {
	name, ns string // ns is "" for the root namespace
	fd       int
	out      [256]*link // by third octet of the destination
}

type wan struct {
	topology
	regions []*region
	links   []*link
	closing atomic.Bool
}

func (w *wan) build() error {
	for i, n := range w.Regions {
		r := &region{name: n, ns: w.Name + "-" + n}
		if n == "root" {
			r.ns = ""
		}
		if err := w.device(r, i+1); err != nil {
			return err
		}
		w.regions = append(w.regions, r)
	}
	for _, a := range w.regions {
		for i, b := range w.regions {
			if a == b {
				continue
			}
			ms, ok := w.OneWayMs[a.name][b.name]
			if !ok {
				return fmt.Errorf("oneWayMs has no %s > %s", a.name, b.name)
			}
			l := &link{from: a, to: b, delay: time.Duration(ms * 1e6), q: make(chan packet, 1<<15)}
			a.out[i+1] = l
			w.links = append(w.links, l)
		}
	}
	runtime.GOMAXPROCS(len(w.links) + len(w.regions) + 4) // every thread that comes back from a sleep or a read finds a P
	debug.SetGCPercent(400)
	for _, l := range w.links {
		go l.run()
	}
	for _, r := range w.regions {
		go w.read(r)
	}
	return nil
}

// device makes the namespace and its TUN device. The device goes away by itself when this process ends.
func (w *wan) device(r *region, i int) (err error) {
	const tunSetIff, iffTun, iffNoPI = 0x400454ca, 0x1, 0x1000
	if r.fd, err = syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	dev := w.Name + strconv.Itoa(i)
	var req struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:15], dev)
	req.flags = iffTun | iffNoPI
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(r.fd), tunSetIff, uintptr(unsafe.Pointer(&req))); e != 0 {
		return fmt.Errorf("%s: %w", dev, e)
	}
	args := []string{"-batch", "-"}
	if r.ns != "" {
		if err = ip("", "netns", "add", r.ns); err == nil {
			err = ip("", "link", "set", dev, "netns", r.ns)
		}
		args = append([]string{"-n", r.ns}, args...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "link set lo up\nlink set %s mtu 1500 txqueuelen 10000 up\n", dev)
	for h := 1; h <= 9; h++ {
		fmt.Fprintf(&b, "addr add 10.90.%d.%d/24 dev %s\n", i, h, dev)
	}
	fmt.Fprintf(&b, "route add 10.90.0.0/16 dev %s src 10.90.%d.1\n", dev, i)
	if err == nil {
		err = ip(b.String(), args...)
	}
	return err
}

func ip(stdin string, args ...string) error {
	c := exec.Command("ip", args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %s (%w)", strings.Join(args, " "), bytes.TrimSpace(out), err)
	}
	return nil
}

func (w *wan) read(r *region) {
	buf := make([]byte, 65536)
	for {
		n, err := syscall.Read(r.fd, buf)
		if err == syscall.EINTR {
			continue
		} else if err != nil && w.closing.Load() { // the device went with its namespace
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "read:", r.name, err)
			os.Exit(1)
		}
		// IPv6 is the kernel's own noise, and so is what is for no region.
		if p := buf[:n]; n >= 20 && p[0]>>4 == 4 && r.out[p[18]] != nil {
			r.out[p[18]].send(p)
		}
	}
}

// cleanup kills what runs inside this network's namespaces and removes them, also those that a crash has left.
func (w *wan) cleanup() error {
	dirs, _ := filepath.Glob("/run/netns/" + w.Name + "-*")
	for try := 0; try < 50; try++ {
		alive := 0
		for _, d := range dirs {
			out, _ := exec.Command("ip", "netns", "pids", filepath.Base(d)).Output()
			for _, s := range strings.Fields(string(out)) {
				if pid, err := strconv.Atoi(s); err == nil {
					syscall.Kill(pid, syscall.SIGKILL)
					alive++
				}
			}
		}
		if alive == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	var errs []error
	for _, d := range dirs {
		errs = append(errs, ip("", "netns", "del", filepath.Base(d)))
	}
	return errors.Join(errs...)
}

// ---- what it is told ----

func (w *wan) do(words []string) error {
	switch {
	case len(words) == 3 && words[0] == "cut":
		for _, l := range w.links {
			if l.from.name == words[1] && l.to.name == words[2] {
				l.down.Store(true)
				l.epoch.Add(1)
				return nil
			}
		}
		return fmt.Errorf("there is no link %s > %s", words[1], words[2])
	case len(words) == 1 && words[0] == "heal":
		for _, l := range w.links {
			l.down.Store(false)
		}
		return nil
	case len(words) == 1 && words[0] == "status":
		return nil
	}
	return fmt.Errorf("not understood: %q", strings.Join(words, " "))
}

// status is a line of JSON: packets that a link carried, that a cut and a full queue threw away, and how late they came.
func (w *wan) status() string {
	type row struct {
		From      string  `json:"from"`
		To        string  `json:"to"`
		Pkts      int64   `json:"packets"`
		Cut       int64   `json:"cut"`
		Full      int64   `json:"full"`
		LateP99Ms float64 `json:"lateP99Ms"`
	}
	var rows []row
	for _, l := range w.links {
		ms := float64(l.lateness().Microseconds()) / 1e3
		rows = append(rows, row{l.from.name, l.to.name, l.pkts.Load(), l.cut.Load(), l.full.Load(), ms})
	}
	j, _ := json.Marshal(map[string]any{"links": rows})
	return string(j)
}

func run(file string) (err error) {
	w := &wan{}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &w.topology)
	}
	if err != nil {
		return err
	}
	// Packets shall not wait for a processor. Where the kernel shares it out by sessions, niceness (see wan.mjs) counts within one
	// of them only, and this is the session's own; elsewhere the file is not there.
	os.WriteFile("/proc/self/autogroup", []byte("-20"), 0o644)
	// It is given back when this process ends, however it does; a file would remain.
	lock, err := net.Listen("unix", "@"+w.Name)
	if err != nil {
		return errors.New("a network of this name is up already")
	}
	defer lock.Close()
	if err := w.cleanup(); err != nil {
		return err
	}
	defer func() {
		w.closing.Store(true)
		err = errors.Join(err, w.cleanup())
	}()
	if err := w.build(); err != nil {
		return err
	}
	fmt.Println(w.status())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := w.do(strings.Fields(lines.Text())); err != nil {
			return err
		}
		fmt.Println(w.status())
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: wan TOPOLOGY.json")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
