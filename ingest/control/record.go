package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"parley/domain"
)

// format is the number that every value carries. A reader refuses what is newer than it knows.
const format = 1

var errUndecodable = errors.New("undecodable record in control")

const (
	slotMapKey   = "slotmap"
	appPrefix    = "app/"
	anchorPrefix = "anchor/"
	nodePrefix   = "node/"
	resetPrefix  = "reset/"
)

func appKey(id domain.AppID) string       { return appPrefix + string(id) }
func anchorKey(p domain.Partition) string { return anchorPrefix + strconv.Itoa(int(p)) }
func nodeKey(name domain.NodeName) string { return nodePrefix + string(name) }
func encode(key string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("control: encode %s: %w", key, err)
	}
	return b, nil
}

// fold puts one record into the snapshot. Keys of a later version of parley are left alone; a broken value of a known key stops everything.
func (s *snapshot) fold(r domain.LogRecord) error {
	key := string(r.Key)
	switch {
	case key == slotMapKey:
		return s.foldSlotMap(r)
	case strings.HasPrefix(key, appPrefix):
		return s.foldApp(r)
	case strings.HasPrefix(key, anchorPrefix):
		return s.foldAnchor(r)
	case strings.HasPrefix(key, nodePrefix):
		return s.foldNode(r)
	case strings.HasPrefix(key, resetPrefix):
		return s.foldReset(r)
	default:
		return nil
	}
}

func (s *snapshot) foldSlotMap(r domain.LogRecord) error {
	m := &SlotMap{}
	if err := decode(r, m, &m.Format); err != nil {
		return err
	}
	if err := m.validate(); err != nil {
		return fmt.Errorf("%w: offset %d: %w", errUndecodable, r.Offset, err)
	}
	if s.slots == nil || m.Version >= s.slots.Version {
		s.slots = m
	}
	return nil
}

func (s *snapshot) foldApp(r domain.LogRecord) error {
	a := &App{}
	if err := decode(r, a, &a.Format); err != nil {
		return err
	}
	s.apps[a.ID] = a
	return nil
}

func (s *snapshot) foldAnchor(r domain.LogRecord) error {
	a := Anchor{}
	if err := decode(r, &a, &a.Format); err != nil {
		return err
	}
	if old, ok := s.anchors[a.Partition]; !ok || a.Offset > old.Offset {
		s.anchors[a.Partition] = a
	}
	return nil
}

func decode(r domain.LogRecord, into any, v *int) error {
	if err := json.Unmarshal(r.Value, into); err != nil {
		return fmt.Errorf("%w: offset %d: %w", errUndecodable, r.Offset, err)
	}
	if *v < 1 || *v > format {
		return fmt.Errorf("%w: offset %d: format %d, this version knows up to %d", errUndecodable, r.Offset, *v, format)
	}
	return nil
}
