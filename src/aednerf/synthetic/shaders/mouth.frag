#version 330
#include common.glsl
#include output.glsl
in vec3 position, normal, rest;
in vec2 uv, occlusion;
in vec3 reach;
in float neck;
uniform int is_teeth;

float hash(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }
float smooth_noise(vec2 p) {
    vec2 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x), mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}

void main() {
    vec3 n = normalize(normal), v = normalize(eye_position - position);
    vec3 albedo; float roughness;
    if (is_teeth == 1) {
        // Yellower at the gum, clearer at the edge; darker towards the back of the row.
        float back = smoothstep(0.105, 0.07, rest.z);
        albedo = mix(vec3(0.68, 0.62, 0.52), vec3(0.55, 0.47, 0.36), back * 0.7);
        roughness = 0.22;
    } else {
        float bumps = smooth_noise(rest.xz * 2600.0) * 0.5 + smooth_noise(rest.xz * 900.0) * 0.5;
        albedo = mix(vec3(0.46, 0.15, 0.135), vec3(0.36, 0.095, 0.095), bumps);
        n = normalize(n + (bumps - 0.5) * 0.25);
        roughness = 0.30;
    }
    float open = occlusion.y;
    float key = lit(position, n, 0.0012, 0.006) * 0.55 + 0.45;
    vec3 diffuse = ambient(n) * open;
    vec3 gloss = vec3(0.0);
    for (int i = 0; i < 2; i++) {
        vec3 l = light_direction[i];
        float w = clamp((dot(n, l) + 0.3) / 1.3, 0.0, 1.0);
        diffuse += light_colour[i] * w * (i == 0 ? key : 1.0) * open * 0.5;
        gloss += light_colour[i] * ggx(n, v, l, roughness + light_spread[i] * 0.2, 0.04) * open * (i == 0 ? key : 1.0);
    }
    vec3 bleed = mix(vec3(1.0, 0.72, 0.68), vec3(1.0), clamp(open * 1.6, 0.0, 1.0));
    out_colour = vec4(tone(albedo * diffuse * bleed + gloss * 0.8), 1.0);
    out_part = part(1);
}
