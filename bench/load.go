package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// send makes n requests over conns connections that are kept, the next on each as soon as
// the one before is answered, and returns how long that took. request returns the bytes of
// the i-th. An answer that is not 200 is an error. It is as little work as can be, as it shares
// the processors with the server.
func send(ctx context.Context, addr string, n, conns int, request func(i int) []byte) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	begin := time.Now()
	for range min(conns, n) {
		wg.Go(func() {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				cancel(err)
				return
			}
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			r := bufio.NewReaderSize(c, 16<<10)
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				_, err := c.Write(request(i))
				if err == nil {
					err = skipAnswer(r)
				}
				if err != nil {
					cancel(fmt.Errorf("request %d: %w", i, err))
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin), context.Cause(ctx)
}

// skipAnswer reads an answer to its end.
func skipAnswer(r *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return fmt.Errorf("the answer is %s", line)
		case len(line) == 0:
			_, err := r.Discard(length)
			return err
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
}
