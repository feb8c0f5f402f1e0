package main

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"postern/internal/pgp"
)

// reader is one who gets the notice.
type reader struct {
	address     string
	certificate []byte // binary
	fingerprint string
}

// readers makes n of them, 7 of 10 with a cv25519 key and 3 with RSA-4096, as
// the keys of distributors are mixed. The keys are kept in dir: making RSA keys
// takes a minute.
func readers(ctx context.Context, dir string, n int) ([]reader, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	list := make([]reader, n)
	var group sync.WaitGroup
	var mu sync.Mutex
	var failed error
	var made atomic.Int64
	next := make(chan int)
	for range 2 {
		group.Go(func() {
			for i := range next {
				r, fresh, err := oneReader(dir, i)
				if fresh {
					made.Add(1)
				}
				mu.Lock()
				list[i], failed = r, firstError(failed, err)
				mu.Unlock()
			}
		})
	}
	began, told := time.Now(), false
	for i := 0; i < n && ctx.Err() == nil; i++ {
		if !told && time.Since(began) > 2*time.Second {
			fmt.Printf("  making keys, once, in %s; this takes a minute or two\n", dir)
			told = true
		}
		next <- i
	}
	close(next)
	group.Wait()
	return list, firstError(failed, ctx.Err())
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func oneReader(dir string, i int) (r reader, fresh bool, err error) {
	rsa := i%10 >= 7
	r.address = fmt.Sprintf("security@d%d.example", i)
	path := filepath.Join(dir, fmt.Sprintf("%03d-%s.pgp", i, map[bool]string{true: "rsa4096", false: "cv25519"}[rsa]))
	r.certificate, err = os.ReadFile(path)
	if err != nil {
		fresh = true
		if r.certificate, err = newKey(r.address, rsa); err != nil {
			return r, fresh, fmt.Errorf("make a key: %w", err)
		}
		if err := os.WriteFile(path+".new", r.certificate, 0o600); err != nil {
			return r, fresh, err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return r, fresh, err
		}
	}
	certs, err := pgp.ParseCertificates(r.certificate)
	if err != nil || len(certs) != 1 {
		return r, fresh, fmt.Errorf("read %s: %d certificates: %w", path, len(certs), err)
	}
	r.fingerprint = certs[0].Fingerprint()
	return r, fresh, nil
}

// newKey is a certificate as gpg makes them: version 4, AES-256 and ZIP among
// what it prefers, no AEAD. Its private half is thrown away.
func newKey(address string, rsa bool) ([]byte, error) {
	conf := &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, Curve: packet.Curve25519, DefaultHash: crypto.SHA512,
		DefaultCipher: packet.CipherAES256, DefaultCompressionAlgo: packet.CompressionZIP,
		Time: func() time.Time { return time.Now().Add(-24 * time.Hour) },
	}
	if rsa {
		conf.Algorithm, conf.RSABits = packet.PubKeyAlgoRSA, 4096
	}
	e, err := openpgp.NewEntity("Distribution", "", address, conf)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = e.Serialize(&out)
	return out.Bytes(), err
}
