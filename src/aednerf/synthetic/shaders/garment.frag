#version 330
#include common.glsl
#include output.glsl
in vec3 position, normal, cloth;
in float trim;
uniform vec3 cloth_colour;
uniform float stitch;      // metres between stitches
float hash(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }
void main() {
    vec3 n = normalize(normal), v = normalize(eye_position - position);
    // Knitted columns of V stitches; the collar's rib is coarser.
    vec2 q = cloth.xy / stitch;
    float column = trim > 0.5 ? cloth.x / (stitch * 2.2) : q.x;
    float wave = cos(column * 2.0 * PI);
    float row = cos((q.y + abs(fract(q.x) - 0.5)) * 2.0 * PI) * (trim > 0.5 ? 0.0 : 1.0);
    vec3 dp1 = dFdx(position), dp2 = dFdy(position);
    vec2 du1 = dFdx(cloth.xy), du2 = dFdy(cloth.xy);
    float hand = dot(cross(dp1, dp2), n) < 0.0 ? -1.0 : 1.0;   // the picture's rows run down
    vec3 p2 = hand * cross(dp2, n), p1 = hand * cross(n, dp1);
    vec3 t = p2 * du1.x + p1 * du2.x;
    t /= max(length(t), 1e-9);
    n = normalize(n + t * (trim > 0.5 ? 0.35 : 0.16) * sin(column * 2.0 * PI) );
    float cavity = 0.88 + 0.08 * wave + 0.05 * row;
    float speck = 0.94 + 0.12 * hash(floor(q * vec2(1.0, 1.0)));
    vec3 albedo = cloth_colour * cavity * speck;
    float open = cloth.z;
    float key = lit(position, normalize(normal), 0.003, 0.014);
    vec3 colour = albedo * ambient(n) * open;
    float nv = max(dot(n, v), 0.0);
    for (int i = 0; i < 4; i++) {
        vec3 l = light_direction[i];
        float w = clamp((dot(n, l) + 0.12) / 1.12, 0.0, 1.0) * (i == 0 ? key : open);
        colour += albedo * light_colour[i] * w * 0.7;
        colour += (albedo * 0.5 + 0.02) * light_colour[i] * w * 0.35 * pow(1.0 - nv, 3.0);   // fuzz
    }
    out_colour = vec4(tone(colour), 1.0);
    out_part = part(3);
}
