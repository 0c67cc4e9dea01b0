INSERT INTO lines SELECT 'abc, 1 FROM events;
