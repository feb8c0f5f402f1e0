package pgp

import (
	"encoding/binary"
	"fmt"
)

// CertificateProblem says why an input is not taken as a certificate. The set
// is closed; each is an error with a sentence for people.
type CertificateProblem string

const (
	CertificateNone        CertificateProblem = "none"
	CertificateSecret      CertificateProblem = "secret"
	CertificateTooLarge    CertificateProblem = "too-large"
	CertificateTooManyUIDs CertificateProblem = "too-many-user-ids"
	CertificateTooManySigs CertificateProblem = "too-many-signatures"
	CertificateTooManyKeys CertificateProblem = "too-many-keys"
	CertificateBroken      CertificateProblem = "broken"
	CertificateUnsupported CertificateProblem = "unsupported"
)

// Error returns one sentence for people.
func (p CertificateProblem) Error() string {
	switch p {
	case CertificateNone:
		return "There is no OpenPGP public key in this text."
	case CertificateSecret:
		return "This is a private key. Never send it to anyone; export the public key instead."
	case CertificateTooLarge:
		return fmt.Sprintf("This key is larger than %d KiB even without photos and other people's signatures.", maxCertificateBytes>>10)
	case CertificateTooManyUIDs:
		return fmt.Sprintf("This key has more than %d user IDs.", maxCertificateUserIDs)
	case CertificateTooManySigs:
		return fmt.Sprintf("This key has more than %d signatures of its own.", maxCertificateSignatures)
	case CertificateTooManyKeys:
		return fmt.Sprintf("This text holds more than %d keys or subkeys.", maxCertificates)
	case CertificateBroken:
		return "This key is damaged or cut off."
	case CertificateUnsupported:
		return "This key is of a kind or version we cannot use."
	}
	return "This key cannot be used."
}

// stripped is one certificate's packets without what others added to it.
type stripped struct {
	keyID uint64
	out   []byte
	uids  int
	sigs  int
	keys  int
}

// stripCertificates takes binary packets apart into certificates and leaves
// out photos, trust and padding packets and the signatures of other people, byte for byte
// keeping the rest. Nothing is verified here.
func stripCertificates(b []byte) ([]stripped, error) {
	var certs []stripped
	keep := false // whether signatures here belong to something kept
	for len(b) > 0 {
		h, body, whole, rest, err := splitPacket(b)
		if err != nil {
			return nil, CertificateBroken
		}
		b = rest
		switch h.tag {
		case tagSecretKey, tagSecretSubkey:
			return nil, CertificateSecret
		case tagPublicKey:
			id, err := keyIDOf(body)
			if err != nil {
				return nil, err
			}
			if len(certs) == maxCertificates {
				return nil, CertificateTooManyKeys
			}
			certs = append(certs, stripped{keyID: id, out: append([]byte(nil), whole...)})
			keep = true
			continue
		}
		if len(certs) == 0 {
			if h.tag == tagMarker || h.tag == tagPadding {
				continue
			}
			return nil, CertificateNone
		}
		c := &certs[len(certs)-1]
		switch h.tag {
		case tagUserID:
			if c.uids++; c.uids > maxCertificateUserIDs {
				return nil, CertificateTooManyUIDs
			}
			keep = true
		case tagPublicSubkey:
			if c.keys++; c.keys > maxCertificateSubkeys {
				return nil, CertificateTooManyKeys
			}
			keep = true
		case tagSignature:
			if !keep || body == nil || !selfSignature(body, c.keyID) {
				continue
			}
			if c.sigs++; c.sigs > maxCertificateSignatures {
				return nil, CertificateTooManySigs
			}
		case tagUserAttribute:
			keep = false
			continue
		default: // trust, padding, marker, what is not known
			continue
		}
		if c.out = append(c.out, whole...); len(c.out) > maxCertificateBytes {
			return nil, CertificateTooLarge
		}
	}
	if len(certs) == 0 {
		return nil, CertificateNone
	}
	return certs, nil
}

// keyIDOf computes the key id of a public key packet (RFC 9580 §5.5.4).
func keyIDOf(body []byte) (uint64, error) {
	if len(body) < 6 {
		return 0, CertificateBroken
	}
	switch body[0] {
	case 4:
		sum := fingerprintV4(body)
		return binary.BigEndian.Uint64(sum[12:]), nil
	case 6:
		sum := fingerprintV6(body)
		return binary.BigEndian.Uint64(sum[:8]), nil
	}
	return 0, CertificateUnsupported
}

// selfSignature tells whether a signature packet names the key as its issuer,
// or nobody. Version 3 signatures and earlier are never kept.
func selfSignature(body []byte, keyID uint64) bool {
	if len(body) < 6 || body[0] != 4 && body[0] != 6 {
		return false
	}
	found, mine := false, false
	areas := body[4:]
	for range 2 { // hashed, unhashed
		var n int
		if body[0] == 6 {
			if len(areas) < 4 {
				return false
			}
			n, areas = int(binary.BigEndian.Uint32(areas)), areas[4:]
		} else {
			if len(areas) < 2 {
				return false
			}
			n, areas = int(binary.BigEndian.Uint16(areas)), areas[2:]
		}
		if n < 0 || n > len(areas) {
			return false
		}
		area := areas[:n]
		areas = areas[n:]
		for len(area) > 0 {
			length, partial, size, err := readSubpacketLength(area)
			if err != nil || partial || length < 1 || length > int64(len(area)-size) {
				return false
			}
			sub := area[size : size+int(length)]
			area = area[size+int(length):]
			switch sub[0] & 0x7f {
			case 16: // issuer key id
				if len(sub) == 9 {
					found = true
					mine = mine || binary.BigEndian.Uint64(sub[1:]) == keyID
				}
			case 33: // issuer fingerprint
				switch {
				case len(sub) == 22 && sub[1] == 4:
					found = true
					mine = mine || binary.BigEndian.Uint64(sub[14:]) == keyID
				case len(sub) == 34 && sub[1] == 6:
					found = true
					mine = mine || binary.BigEndian.Uint64(sub[2:]) == keyID
				}
			}
		}
	}
	return mine || !found
}

// readSubpacketLength reads a signature subpacket's length (RFC 9580 §5.2.3.7),
// in which 224 to 254 are not partial lengths.
func readSubpacketLength(b []byte) (int64, bool, int, error) {
	if len(b) >= 2 && b[0] >= 224 && b[0] < 255 {
		return int64(b[0]-192)<<8 + int64(b[1]) + 192, false, 2, nil
	}
	return readLength(b)
}
